"""What is sent and when: seeds and rates become due times and routes."""
