"""The image, driven from outside as the Airbyte platform and a shell drive it."""
