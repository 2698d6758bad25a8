"""The playground: a page to write with trained models, and the JSON API that it stands on. No TensorFlow."""
