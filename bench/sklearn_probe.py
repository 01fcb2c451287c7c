"""scikit-learn's logistic regression, timed: the peer of bench/probe.ts, which runs it.

    python3 bench/sklearn_probe.py FOLDER C TOLERANCE

One fit with L-BFGS, as many iterations as it wants up to 1,000. Prints JSON.
"""

import json
import sys
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

folder, penalty, tolerance = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
x, y, xt, yt = (np.load(f"{folder}/{name}.npy") for name in ["train", "train_labels", "test", "test_labels"])
start = time.perf_counter()
model = LogisticRegression(C=penalty, tol=tolerance, max_iter=1000).fit(x, y)
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "accuracy": float(model.score(xt, yt)), "iterations": int(model.n_iter_[0])}))
