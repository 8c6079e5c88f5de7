"""What several families share: backbones, heads, losses."""
