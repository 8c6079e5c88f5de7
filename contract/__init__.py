"""What the functions, the container and the command must agree on.

Standard library and Pillow only: this package is part of the Lambda packages and of both container images.
"""
