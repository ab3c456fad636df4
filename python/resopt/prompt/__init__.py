"""What is sent, without its fat: prompt rules, context extraction, history, provider prefixes, length of answers."""
