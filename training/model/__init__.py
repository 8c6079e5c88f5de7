"""A trained model at work: its artefact, an image's pixels, the ONNX graph, decoding, tiles. No torch."""
