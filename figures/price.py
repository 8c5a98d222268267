"""The price of the guarantee (C20)."""

from figures.write import write

if __name__ == "__main__":
    write("price", "price", "bradley-terry")
