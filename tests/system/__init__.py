"""What needs a whole machine: Debian trees, machines that boot them, packages built in them."""
