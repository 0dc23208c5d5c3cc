"""Conversations and answers: stores questions, leads them through think, act and respond, and keeps what comes back."""
