"""Who builds the container images: an engine on this machine, AWS CodeBuild, or, for the local cloud, nobody."""
