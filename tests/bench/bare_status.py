"""The bare baseline of `status`: asks a socket over HTTP and prints what it says."""

import socket
import sys

if __name__ == "__main__":
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    connection.sendall(b"GET /v1/status HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n")
    while piece := connection.recv(65536):
        sys.stdout.buffer.write(piece)
