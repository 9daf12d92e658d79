# SPDX-License-Identifier: Apache-2.0
# How the benchmarks print a figure: name, value, unit, parameters.
defmodule Bench.Figures do
  def line(name, value, unit, parameters) do
    text =
      if is_float(value), do: :erlang.float_to_binary(value, decimals: 2), else: to_string(value)

    IO.puts(
      "#{String.pad_trailing(name, 44)} #{String.pad_leading(text, 12)} #{String.pad_trailing(unit, 8)} #{parameters}"
    )
  end

  def median(list), do: list |> Enum.sort() |> Enum.at(div(length(list), 2))
end
