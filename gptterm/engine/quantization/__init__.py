"""int8 weights: conversion, its fidelity and the cache of converted models."""
