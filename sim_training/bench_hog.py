"""Keeps one core busy until it is ended: the neighbour that a control loop must live beside."""

if __name__ == '__main__':
    while True:
        pass
