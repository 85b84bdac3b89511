"""The words of the house: what arrived, what shall be written, what is read, and rules of the spec."""
