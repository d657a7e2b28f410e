//! A safe layer over llama.cpp: load, generate, embed, score
