//! Questions, metrics, confidence intervals, report
