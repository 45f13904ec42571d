"""The bare baseline of a compilation, `bare_compile.py FILE`: libyaml, networkx, its order."""

import gc
import sys
from pathlib import Path

import networkx as nx
import yaml

if __name__ == "__main__":
    gc.disable()
    units = yaml.load(Path(sys.argv[1]).read_bytes(), Loader=yaml.CSafeLoader)["units"]
    graph: "nx.DiGraph[str]" = nx.DiGraph()
    graph.add_nodes_from(units)
    for name, unit in units.items():
        graph.add_edges_from((other, name) for other in unit.get("requires", ()))
    print(len(list(nx.lexicographical_topological_sort(graph))))
