"""What a night will take: sizes read from the inputs, rates measured on this machine, a cost model made of both."""
