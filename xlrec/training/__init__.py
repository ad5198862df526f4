"""Training: encoder adaptation, recommender training, transfer."""
