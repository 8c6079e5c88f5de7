"""What the functions, the container and the command must agree on, written once.

Standard library and Pillow only: this package travels into the Lambda packages and both container images.
"""
