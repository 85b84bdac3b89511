"""What the store promises, one file a noun; a test named pNN holds promise NN."""
