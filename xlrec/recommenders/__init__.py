"""What has weights and learns from interactions: co-visitation, popularity."""
