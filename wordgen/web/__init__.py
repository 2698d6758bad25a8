"""The playground: a web page to write with trained models, and the JSON API behind it. Does not use TensorFlow."""
