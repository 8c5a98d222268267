"""Speed and memory, measured as ratios against a named peer in the same run."""
