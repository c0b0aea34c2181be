#include "kernels/adamw.h"

#include <fstream>
#include <limits>

#include <boost/json.hpp>

#include "kernels/elementwise.h"
#include "support/kernel_case.h"
#include "support/shared.h"

namespace hadal {
namespace {

using namespace testing;

TEST(AdamW, LikeReference) {
  for (const index_t n : {1, 3, 15, 16, 17, 127, 70000}) {
    for (const auto& [moment, rounded] :
         {std::pair{DType::kF32, DType::kF32}, {DType::kF32, DType::kBF16}, {DType::kBF16, DType::kBF16}}) {
      for (const bool zero_grad : {false, true}) {
        if (n == 70000 && (moment != DType::kBF16 || !zero_grad)) continue;
        const kernels::AdamWConfig config{.lr = 1e-2, .step = 3, .grad_scale = 0.7};
        expect_like_reference(str_cat("adamw ", n, " ", dtype_name(moment)), [&](Exec& ex) {
          std::vector<Output> out = {{"master", random_matrix(DType::kF32, 1, n, 1), 1e-6, 1e-5},
                                     {"value", Matrix(rounded, 1, n, 3), 1e-6, rel_of(rounded)},
                                     {"grad", random_matrix(DType::kF32, 1, n, 2), 0, 0},
                                     {"m", random_matrix(moment, 1, n, 3), 1e-7, rel_of(moment)},
                                     {"v", random_matrix(moment, 1, n, 4), 1e-7, rel_of(moment)}};
          for (index_t i = 0; i < n; ++i) out[4].value.set(0, i, std::fabs(out[4].value(0, i)) + 0.01);
          kernels::adamw_step(ex, out[0].value, out[1].value, out[2].value, out[3].value, out[4].value, config,
                              zero_grad);
          return out;
        });
      }
    }
  }
}

/// bf16 weights and the rest of their masters.
struct SplitParameter {
  Matrix value;
  std::vector<std::int16_t> rest;
  explicit SplitParameter(const Matrix& master)
      : value(DType::kBF16, 1, master.view().cols), rest(static_cast<std::size_t>(master.view().cols)) {
    for (index_t i = 0; i < master.view().cols; ++i) {
      const SplitF32 parts = split_f32(master.view().as<float>()(0, i));
      value.view().as<bf16>()(0, i) = parts.value, rest[static_cast<std::size_t>(i)] = parts.rest;
    }
  }
  View rest_view() {
    const auto n = static_cast<index_t>(rest.size());
    return {reinterpret_cast<std::byte*>(rest.data()), DType::kI16, 1, n, n};
  }
};

TEST(AdamW, SplitMastersTakeTheSameSteps) {
  ThreadPool pool(2);
  std::vector<Isa> all = isas();
  all.push_back(Isa::kReference);
  for (const Isa isa : all) {
    Exec ex(pool, isa);
    for (const index_t n : {1, 15, 17, 70001}) {
      if (isa == Isa::kReference && n > 100) continue;
      Matrix master = random_matrix(DType::kF32, 1, n, 1, 1, 0), joined(DType::kF32, 1, n);
      SplitParameter split(master);
      Matrix m1(DType::kBF16, 1, n), v1(DType::kBF16, 1, n), m2(DType::kBF16, 1, n), v2(DType::kBF16, 1, n);
      for (int step = 1; step <= 3; ++step) {
        Matrix g1 = random_matrix(DType::kF32, 1, n, static_cast<std::uint64_t>(step), 1, 0), g2 = g1;
        kernels::adamw_step(ex, master, View{}, g1, m1, v1, {.lr = 1e-3, .step = step}, true);
        kernels::adamw_step(ex, split.rest_view(), split.value, g2, m2, v2, {.lr = 1e-3, .step = step}, true);
        kernels::join_f32(ex, joined, split.value, split.rest_view());
        for (index_t i = 0; i < n; ++i) ASSERT_EQ(joined(0, i), master(0, i)) << isa_name(isa) << " " << n;
      }
      Matrix y1 = random_matrix(DType::kF32, 1, n, 9, 1, 0), y2 = y1;
      kernels::ema_update(ex, y1, master, {}, 0.9);
      kernels::ema_update(ex, y2, split.value, split.rest_view(), 0.9);
      for (index_t i = 0; i < n; ++i) ASSERT_EQ(y1(0, i), y2(0, i)) << isa_name(isa) << " " << n;
    }
  }
}

TEST(AdamW, NoValueAndShapes) {
  ThreadPool pool(1);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    Matrix p = random_matrix(DType::kF32, 1, 24, 1, 1, 0), g = random_matrix(DType::kF32, 1, 24, 2, 1, 0),
           m(DType::kF32, 1, 24), v(DType::kF32, 1, 24);
    Matrix square(DType::kBF16, 4, 6), short_one(DType::kF32, 1, 23);
    kernels::adamw_step(ex, p, View{}, g, m, v, {}, false);
    kernels::adamw_step(ex, p, square, g, m, v, {.step = 2}, false);
    EXPECT_EQ(static_cast<float>(square(3, 5)), to_f32(to_bf16(static_cast<float>(p(0, 23)))));
    EXPECT_THROW(kernels::adamw_step(ex, p, View{}, short_one, m, v, {}, false), Error);
    EXPECT_THROW(kernels::adamw_step(ex, p, View{}, g, m, v, {.step = 0}, false), Error);
  }
}

TEST(SumOfSquares, LikeReference) {
  for (const auto& [rows, cols, pad] : {std::tuple{1, 1, 0}, {1, 70001, 0}, {3, 17, 0}, {5, 127, 3}, {300, 33, 1}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kE4M3}) {
      const Matrix x = random_matrix(dtype, rows, cols, 1, 1, pad);
      expect_like_reference(str_cat("sum_of_squares ", rows, " x ", cols), [&](Exec& ex) {
        std::vector<Output> out = {{"sum", Matrix(DType::kF64, 1, 1), 0, 1e-12}};
        out[0].value.set(0, 0, kernels::sum_of_squares(ex, x));
        return out;
      });
    }
  }
}

TEST(SumOfSquares, ExtremesComeThrough) {
  ThreadPool pool(2);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    Matrix x(DType::kF32, 1, 40);
    x.set(0, 3, 1e30);
    EXPECT_NEAR(kernels::sum_of_squares(ex, x), 1e60, 1e54);
    x.set(0, 3, 1e-30);
    EXPECT_NEAR(kernels::sum_of_squares(ex, x), 1e-60, 1e-66);
    x.set(0, 39, std::numeric_limits<double>::infinity());
    EXPECT_EQ(kernels::sum_of_squares(ex, x), std::numeric_limits<double>::infinity());
    x.set(0, 38, std::nan(""));
    EXPECT_TRUE(std::isnan(kernels::sum_of_squares(ex, x)));
  }
}

TEST(Ema, LikeReference) {
  for (const auto& [rows, cols, pad] : {std::tuple{1, 1, 0}, {1, 5001, 0}, {3, 17, 0}, {5, 127, 3}, {8, 1024, 0}}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      const Matrix x = random_matrix(dtype, rows, cols, 1, 1, pad);
      expect_like_reference(str_cat("ema ", rows, " x ", cols), [&, r = rows, c = cols, p = pad](Exec& ex) {
        std::vector<Output> out = {{"y", random_matrix(DType::kF32, r, c, 2, 1, p), 1e-6, 1e-6}};
        kernels::ema_update(ex, out[0].value, x, {}, 0.9);
        return out;
      });
    }
  }
}

/// Steps of optimizer.json, computed with PyTorch in f64.
class OptimizerFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
    std::ifstream file(shared_dir() / "fixtures/small/optimizer.json");
    json_ = boost::json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  }
  static Matrix row(const boost::json::value& list, DType dtype) {
    const auto& a = list.as_array();
    Matrix m(dtype, 1, static_cast<index_t>(a.size()));
    for (std::size_t i = 0; i < a.size(); ++i) m.set(0, static_cast<index_t>(i), a[i].to_number<double>());
    return m;
  }
  boost::json::value json_;
};

TEST_F(OptimizerFixture, AdamW) {
  ThreadPool pool(1);
  std::vector<Isa> all = isas();
  all.push_back(Isa::kReference);
  for (const Isa isa : all) {
    Exec ex(pool, isa);
    const DType dtype = isa == Isa::kReference ? DType::kF64 : DType::kF32;
    const double tolerance = isa == Isa::kReference ? 1e-12 : 2e-6;
    for (const auto& c : json_.at("adamw").as_array()) {
      Matrix p = row(c.at("start"), dtype);
      const index_t n = p.view().cols;
      Matrix m(dtype, 1, n), v(dtype, 1, n);
      const auto& gradients = c.at("gradients").as_array();
      for (std::size_t s = 0; s < gradients.size(); ++s) {
        Matrix g = row(gradients[s], dtype);
        const auto number = [&](const char* key) { return c.at(key).to_number<double>(); };
        kernels::adamw_step(ex, p, View{}, g, m, v,
                            {.lr = number("learning_rate"),
                             .beta1 = number("beta1"),
                             .beta2 = number("beta2"),
                             .eps = number("epsilon"),
                             .weight_decay = number("weight_decay"),
                             .step = static_cast<std::int64_t>(s) + 1},
                            true);
        const Matrix want = row(c.at("steps").at(s).at("parameter"), DType::kF64);
        for (index_t i = 0; i < n; ++i)
          EXPECT_NEAR(p(0, i), want(0, i), tolerance * (1 + std::fabs(want(0, i))))
              << isa_name(isa) << " step " << s << " value " << i;
      }
    }
  }
}

TEST_F(OptimizerFixture, Clip) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  for (const auto& c : json_.at("clip").as_array()) {
    double squares = 0;
    for (const auto& g : c.at("gradients").as_array()) squares += kernels::sum_of_squares(ex, row(g, DType::kF64));
    EXPECT_NEAR(std::sqrt(squares), c.at("norm").to_number<double>(), 1e-12);
    const double factor = std::min(1.0, c.at("max_norm").to_number<double>() / (std::sqrt(squares) + 1e-6));
    EXPECT_NEAR(factor, c.at("factor").to_number<double>(), 1e-12);
    for (std::size_t i = 0; i < c.at("gradients").as_array().size(); ++i) {
      Matrix g = row(c.at("gradients").at(i), DType::kF64);
      kernels::scale(ex, g, factor);
      const Matrix want = row(c.at("clipped").at(i), DType::kF64);
      for (index_t k = 0; k < want.view().cols; ++k) EXPECT_NEAR(g(0, k), want(0, k), 1e-12);
    }
  }
}

}  // namespace
}  // namespace hadal
