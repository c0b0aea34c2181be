#include "tensor/view.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace hadal {
namespace {

TEST(Mat, RowsElementsAndConst) {
  std::vector<float> data(12);
  std::iota(data.begin(), data.end(), 0.0F);
  const Mat<float> m{data.data(), 3, 3, 4};
  EXPECT_EQ(m(2, 1), 9);
  EXPECT_EQ(m.row(1).size(), 3U);
  EXPECT_EQ(m.row(1)[2], 6);
  m(0, 0) = 5;
  const Mat<const float> reading = m;
  EXPECT_EQ(reading(0, 0), 5);
}

TEST(View, TypeIsChecked) {
  std::vector<float> data(6);
  const View v = view_of(Mat<float>{data.data(), 2, 3, 3});
  EXPECT_EQ(v.dtype, DType::kF32);
  EXPECT_NO_THROW(v.as<float>());
  EXPECT_THROW(v.as<double>(), Error);
  EXPECT_THROW(v.as<bf16>(), Error);
  const ConstView c = v;
  EXPECT_EQ(c.as<float>().data, data.data());
  static_assert(std::is_same_v<decltype(c.as<float>()), Mat<const float>>);
}

TEST(View, SlicesPointIntoTheWhole) {
  std::vector<float> data(20);
  std::iota(data.begin(), data.end(), 0.0F);
  const View v = view_of(Mat<float>{data.data(), 4, 5, 5});
  const View part = v.slice_rows(1, 2).slice_cols(2, 3);
  EXPECT_EQ(part.rows, 2);
  EXPECT_EQ(part.cols, 3);
  EXPECT_EQ(part.as<float>()(1, 1), 13);
  EXPECT_FALSE(part.contiguous());
  EXPECT_TRUE(v.slice_rows(1, 2).contiguous());
  EXPECT_TRUE(part.slice_rows(0, 1).contiguous()) << "one row is always a run";
  EXPECT_THROW(part.flat<float>(), Error);
  EXPECT_EQ(v.flat<float>()[7], 7);
  EXPECT_EQ(v.slice_rows(4, 0).rows, 0);
}

TEST(View, SlicesOutsideThrow) {
  std::vector<float> data(20);
  const View v = view_of(Mat<float>{data.data(), 4, 5, 5});
  EXPECT_THROW(v.slice_rows(3, 2), Error);
  EXPECT_THROW(v.slice_rows(-1, 1), Error);
  EXPECT_THROW(v.slice_rows(0, -1), Error);
  EXPECT_THROW(v.slice_cols(0, 6), Error);
  EXPECT_THROW(v.slice_cols(5, 1), Error);
}

TEST(Heads, OfViewsAndSlices) {
  std::vector<float> data(24);
  std::iota(data.begin(), data.end(), 0.0F);
  const View v = view_of(Mat<float>{data.data(), 2, 12, 12});
  const Heads h = heads_of(v, 3);
  EXPECT_EQ(h.dim, 4);
  EXPECT_EQ(*h.at<float>(1, 2), 20);
  const Heads tail = h.slice_dim(1, 2);
  EXPECT_EQ(*tail.at<float>(0, 1), 5);
  EXPECT_EQ(tail.dim, 2);
  EXPECT_EQ(*h.slice_rows(1, 1).at<float>(0, 0), 12);
  EXPECT_THROW(heads_of(v, 5), Error);
  EXPECT_THROW(heads_of(v, 0), Error);
  EXPECT_THROW(h.slice_dim(3, 2), Error);
  EXPECT_THROW(h.slice_rows(2, 1), Error);
}

}  // namespace
}  // namespace hadal
