"""The study of palindromes: how long RNN, GRU and LSTM remember the first digit, and how far gradients reach."""
