"""Code that several families share: backbones, heads, losses."""
