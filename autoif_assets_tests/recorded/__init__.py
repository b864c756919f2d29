"""What a real model wrote, judged by people."""
