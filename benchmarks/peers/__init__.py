"""What is measured against: the same work in other libraries."""
