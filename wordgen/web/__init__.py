"""The playground: a web page to write with trained models, and the JSON API that it uses. It needs no TensorFlow."""
