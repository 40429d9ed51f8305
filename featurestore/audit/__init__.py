"""Do training and serving agree? The product's law, verified where it has to hold: in production."""
