"""Write files completely or not at all."""
