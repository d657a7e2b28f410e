//! The ways of answering: none and RAG; sentence support, abstention
