"""Image files and their geometry: reading, resampling, registration, components."""
