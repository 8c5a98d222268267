"""Runs compared: may they be, and what do they say?"""
