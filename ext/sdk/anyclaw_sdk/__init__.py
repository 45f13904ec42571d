"""The SDK for extensions of anyclawd; standard library only."""
