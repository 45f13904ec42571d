"""What a doctor looks at: read from the machine, from files and from the daemon; judges nothing.

What may not be seen is told as such, since the doctor may be anybody. Nothing is changed.
"""
