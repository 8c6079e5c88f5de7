"""Models and endpoints: model servers, deployments, autoscaling."""
