"""Inspection of one image: its event, the model's detections, the verdict by the rules, the record and the alert."""
