"""What operators watch: the numbers of all workers, and the listener that shows them."""
