"""Running a trained model without torch: its artefact, an image's pixels, the ONNX graph, decoding, tiles."""
