defmodule TenonHarness.Terms do
  @moduledoc """
  Terms of every kind, chosen and random.
  """

  @doc "Pairs of a description and a term."
  def chosen do
    integers() ++ floats() ++ atoms() ++ binaries() ++ lists() ++ tuples() ++ maps() ++ others()
  end

  defp integers do
    edges =
      for shift <- [7, 8, 15, 16, 27, 28, 31, 32, 59, 60, 63, 64, 127, 128, 2_040],
          do: :erlang.bsl(1, shift)

    for edge <- [1 | edges], sign <- [1, -1], offset <- [-1, 0, 1] do
      {"the integer #{sign}*(2^n)#{offset}", sign * edge + offset}
    end ++ [{"a bignum of 300 bytes", -:erlang.bsl(3, 2_400)}]
  end

  defp floats do
    for float <- [0.0, -0.0, 1.5, -1.5, 1.0e308, 5.0e-324, 3.141592653589793, 1.0e-7] do
      {"the float #{float}", float}
    end
  end

  defp atoms do
    [
      {"an atom", :atom},
      {"the empty atom", :""},
      {"true, false and nil", [true, false, nil]},
      {"an atom with spaces", :"with spaces and \"quotes\""},
      {"a Latin-1 atom", :žluť |> Atom.to_string() |> String.to_atom()},
      {"an atom with é", :café},
      {"an atom beyond the BMP", String.to_atom("🦊日本")},
      {"the longest atom", String.to_atom(String.duplicate("a", 255))},
      {"the longest atom in bytes", String.to_atom(String.duplicate("🦊", 255))},
      {"a module", Some.Elixir.Module}
    ]
  end

  defp binaries do
    [
      {"the empty binary", ""},
      {"a binary", <<0, 1, 2, 255>>},
      {"a text", "grüße 🦊"},
      {"bits", <<5::3>>},
      {"more bits", <<1, 2, 3, 1::1>>},
      {"seven bits", <<127::7>>},
      {"64 KiB", :binary.copy(<<"0123456789abcdef">>, 4_096)},
      {"1 MiB", :binary.copy(<<"tenon", 0, 255, 17>>, 131_072)},
      {"1 MiB of bits", <<:binary.copy(<<42>>, 1_048_576)::binary, 3::2>>}
    ]
  end

  defp lists do
    [
      {"the empty list", []},
      {"a list", [1, :two, "three", 4.0]},
      {"a list of bytes", Enum.to_list(0..255)},
      {"a charlist", ~c"grüße"},
      {"the longest string", List.duplicate(7, 65_535)},
      {"one above the longest string", List.duplicate(7, 65_536)},
      {"an improper list", [1, 2 | 3]},
      {"an improper list of bytes", [1 | 2]},
      {"an improper list with a binary", [<<1>> | <<2>>]},
      {"a keyword list", [a: 1, b: [c: 2]]},
      # Tenon takes terms up to 512 deep.
      {"a list nested 480 deep", Enum.reduce(1..480, [], fn _, list -> [list] end)},
      {"10000 elements", Enum.map(1..10_000, &{&1, &1 * &1})}
    ]
  end

  defp tuples do
    [
      {"the empty tuple", {}},
      {"a tuple", {1, {2, {3}}}},
      {"255 elements", List.to_tuple(Enum.to_list(1..255))},
      {"256 elements", List.to_tuple(Enum.to_list(1..256))},
      {"a tuple nested 480 deep", Enum.reduce(1..480, {}, fn n, tuple -> {n, tuple} end)}
    ]
  end

  defp maps do
    [
      {"the empty map", %{}},
      {"a map", %{:a => 1, "b" => 2, 3 => %{}}},
      {"a map with keys of all kinds",
       %{1 => :a, 1.0 => :b, [1] => :c, {1} => :d, %{} => :e, <<1::1>> => :f}},
      {"32 keys", Map.new(1..32, &{&1, &1})},
      {"33 keys", Map.new(1..33, &{&1, &1})},
      {"1000 keys", Map.new(1..1_000, &{"key #{&1}", &1})},
      {"a struct", %URI{host: "example.com", port: 80}},
      {"a date and time", DateTime.from_unix!(1_600_000_000, :microsecond)},
      {"a range", 1..10},
      {"maps nested 200 deep", Enum.reduce(1..200, %{}, fn n, map -> %{n => map} end)}
    ]
  end

  defp others do
    n = 42

    [
      {"a pid", self()},
      {"a reference", make_ref()},
      {"a port", hd(Port.list())},
      {"an export", &:lists.map/2},
      {"an export of Elixir", &Enum.map/2},
      {"a local fun", fn x -> x end},
      {"a closure", fn x -> {x, n} end},
      {"everything at once", {self(), [make_ref(), &is_atom/1], %{fn -> 1 end => <<1::3>>}}}
    ]
  end

  @doc "A random term; `:rand` must be seeded. Never a bare `:exit` or `:throw`, only data."
  def random(depth \\ 6)
  def random(0), do: random_leaf()

  def random(depth) do
    case :rand.uniform(9) do
      1 -> Enum.map(1..:rand.uniform(8), fn _ -> random(depth - 1) end)
      2 -> 1..:rand.uniform(8) |> Enum.map(fn _ -> random(depth - 1) end) |> List.to_tuple()
      3 -> Map.new(1..:rand.uniform(40), fn _ -> {random_leaf(), random(div(depth, 2))} end)
      4 -> [random(depth - 1) | random_leaf()]
      _ -> random_leaf()
    end
  end

  defp random_leaf do
    case :rand.uniform(12) do
      1 -> :rand.uniform(256) - 1
      2 -> :rand.uniform(:erlang.bsl(1, :rand.uniform(70)))
      3 -> -:rand.uniform(:erlang.bsl(1, :rand.uniform(600)))
      4 -> :rand.normal() * 1.0e10
      5 -> :binary.list_to_bin(random_bytes(:rand.uniform(40)))
      6 -> <<:rand.uniform(1_000)::size(13)>>
      7 -> random_bytes(:rand.uniform(20))
      8 -> Enum.random([:a, :b, nil, true, :ünï, String.to_atom("λ"), Enum])
      9 -> Enum.random([[], {}, %{}, "", <<>>])
      10 -> self()
      11 -> make_ref()
      12 -> Enum.random([&Enum.map/2, &random/1, fn x -> {x, 1} end])
    end
  end

  defp random_bytes(count), do: Enum.map(1..count, fn _ -> :rand.uniform(256) - 1 end)
end
