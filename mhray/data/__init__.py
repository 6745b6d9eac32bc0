"""The CIFAR-100-MH data sets: reading, building, loading."""
