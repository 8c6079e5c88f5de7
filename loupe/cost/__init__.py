"""What a stack costs: counted from what it does for an image, and AWS's dated list prices."""
