"""What pictures are put through, in operations of a TensorFlow graph.

Each module mirrors, function by function, the module of `keras_meta` with its
name, which computes the same in NumPy and explains it.
"""
