"""The runs in saved_models: what is known of each, several side by side, and how one goes. No TensorFlow here."""
