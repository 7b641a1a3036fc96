"""`rtdemo storm`: what happens to many clients while their server dies and starts again."""
