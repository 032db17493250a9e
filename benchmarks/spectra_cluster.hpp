// Clustering at a radius: our side of benchmarks/peers/cluster.py, which says what is measured.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include <basin/attractor/linkage.hpp>
#include <basin/io/npy.hpp>

namespace spectra {

// FOLDER/NAME.npy is k x N float64 in column-major order, FOLDER/NAME_radius.npy one number.
struct cluster_data {
  cluster_data(const std::string& folder, const std::string& name)
      : points(basin::read_npy<double>(folder + "/" + name + ".npy")),
        radius(basin::read_npy<double>(folder + "/" + name + "_radius.npy")(0)) {}

  [[nodiscard]] std::vector<basin::index_t> labels(int threads) const {
    return basin::radius_clusters(basin::cpu<double>(threads), points, radius);
  }
  Eigen::MatrixXd points;
  double radius;
};

// Rows cluster/NAME/threads=T/ours for the named sets of points in the folder.
inline void register_clusters(const std::string& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    for (const int threads : {1, 2}) {
      benchmark::RegisterBenchmark(
          ("cluster/" + name + "/threads=" + std::to_string(threads) + "/ours").c_str(),
          [folder, name, threads](benchmark::State& state) {
            const cluster_data data(folder, name);
            for (auto _ : state) benchmark::DoNotOptimize(data.labels(threads));
          })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

// Writes the labels of a set of points, 1 x N int32.
inline void write_cluster_labels(const std::string& folder, const std::string& name,
                                 const std::string& output, int threads) {
  const std::vector<basin::index_t> labels = cluster_data(folder, name).labels(threads);
  Eigen::RowVectorX<std::int32_t> row(static_cast<basin::index_t>(labels.size()));
  for (basin::index_t j = 0; j < row.size(); ++j) {
    row[j] = static_cast<std::int32_t>(labels[static_cast<std::size_t>(j)]);
  }
  basin::write_npy(output, Eigen::MatrixX<std::int32_t>(row));
}

}  // namespace spectra
