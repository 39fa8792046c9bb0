"""Declarations as data: fields with their type, what stands for an absent one, and the rules that registrations are held to."""
