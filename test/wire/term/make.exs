# SPDX-License-Identifier: Apache-2.0
# Writes the files that INDEX.md describes, and checks them against the
# installed OTP. Run by hand, in this folder: elixir make.exs
#
# Where our text differs from this Elixir's on purpose, the text is given here.
defmodule Make do
  def line(term, text \\ nil, options \\ [minor_version: 2]) do
    bytes = :erlang.term_to_binary(term, options)
    text = text || inspect(term, limit: :infinity, printable_limit: :infinity, width: :infinity)
    true = not String.contains?(text, ["\n", "\t"])
    [Base.encode16(bytes, case: :lower), "\t", text, "\n"]
  end

  def from(bytes), do: :erlang.binary_to_term(<<131, bytes::binary>>)
  def node_atom(name), do: <<119, byte_size(name), name::binary>>
  def pid(name, id, serial, creation), do: from(<<88>> <> node_atom(name) <> <<id::32, serial::32, creation::32>>)
  def port(name, id, creation), do: from(<<120>> <> node_atom(name) <> <<id::64, creation::32>>)

  def ref(name, words, creation) do
    from(<<90, length(words)::16>> <> node_atom(name) <> <<creation::32>> <> for(w <- words, into: "", do: <<w::32>>))
  end

  def integers do
    edges = [0, 1, 255, 256, 127, 128, 32767, 65535, 65536, 999_999_999, 1_000_000_000]
    powers = for e <- [8, 16, 27, 28, 31, 32, 47, 59, 60, 63, 64, 65, 127, 128, 1000, 2031, 2032, 2040, 2048], do: Integer.pow(2, e)
    for n <- edges ++ powers, d <- [-1, 0, 1], s <- [1, -1], uniq: true, do: line(s * (n + d))
  end

  def floats do
    [0.0, -0.0, 1.0, -1.5, 0.1, 0.3, 0.001, 0.0001, 1.0e-5, 1.5e-4, 0.00123456, 1.0e15, 123456.789] ++
      [9007199254740991.0, 9007199254740992.0, 9.999999999999998e15, 1.0e16, 1.0e22, 1.0e23, 1.5e300] ++
      [5.0e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 5.684341886080802e-14, 7.678447687145631e-239]
  end

  def atoms do
    [:a, :ok, nil, true, false, :"", :_, :a1, :a?, :b!, :"a?b", :A, :a@b, :"a b", :"a-b", :"1a", :"a.b", :"a\"b", :"a\n\e\0"] ++
      [Elixir, Foo, Foo.Bar, :"Elixir.foo", :"Elixir.Foo.", Elixir.Elixir, :"Foo.Bar", :é, :ž, :Žan, :жук, :"жa", :"aж", :ж_1, :日本, :"žж", :"e\u0301", :"\uFFFF"] ++
      [:+, :-, :"=>", :.., :"..//", :%{}, :{}, :<<>>, :!==, :"::", :"nonode@nohost", :when, :do]
  end

  def long_atoms do
    for t <- [String.duplicate("a", 255), String.duplicate("ž", 127), String.duplicate("ž", 255), String.duplicate("日", 255)] do
      line(String.to_atom(t))
    end
  end

  # OTP 25 writes Latin-1 atoms where it may.
  def old_atoms, do: for(a <- [:a, nil, :é, :"ÿþ b", Foo.Bar], do: line(a, nil, minor_version: 1))

  def binaries do
    ["", "abc", "ž", "日本", "a\nb\r\t\e\a\b\v\f\d", "\#{a}", "#a", "\"", "\\", <<0>>, <<255>>, "a\0", <<0xFEFF::utf8>>] ++
      [<<0x85::utf8>>, <<0xE000::utf8>>, <<0xFFFE::utf8>>, <<0x1F600::utf8>>, <<237, 160, 128>>, <<1::1>>, <<5, 3::3>>, <<255, 127::7>>, <<0::4>>]
  end

  def lists do
    [[], [1], [0], [1, 2, 3], [256], [1 | 2], [1, 2 | :c], [[]], [[[]] | []], [1, [2, [3]]], [1.0 | 2.0], [127], [97, 256], [97 | 98]] ++
      [[a: 1], [{:a, 1}, {Foo, 2}], [{:a, 1, 2}], [{"a", 1}], [{:a, 1}, :b], [{:a, 1} | :b], ["a b": [c: {}]], [nil: 1, +: 2], Enum.to_list(1..300)]
  end

  def charlists do
    [line('abc', ~S(~c"abc")), line('a\n"\#{', ~S(~c"a\n\"\#{")), line([7, 8, 9, 10, 11, 12, 13, 27], ~S(~c"\a\b\t\n\v\f\r\e"))]
  end

  def tuples, do: [{}, {1}, {:a, "b", 1.5}, {{{}}}, {1, {2, {3}}}, List.to_tuple(Enum.to_list(1..255)), List.to_tuple(Enum.to_list(1..256))]

  def maps do
    [%{}, %{a: 1}, %{"a" => 1}, %{:a => 1, "b" => 2}, %{1 => 2, 1.0 => 3}, %{2 => :a, 1.5 => :b}, %{Foo => 1}, %{:a => 1, Foo => 2}, %{%{} => %{}}] ++
      [%{[] => {}, {} => []}, %{nil => true}, %{a: %{b: %{c: []}}}, %{__struct__: :foo, a: 1}, %{__struct__: 1}]
  end

  # More than 32 keys have no order that Elixir prints.
  def large_maps do
    for map <- [Map.new(1..40, &{&1, -&1}), Map.new(1..33, &{"k#{&1}", &1})] do
      text = map |> Enum.sort() |> Enum.map_join(", ", fn {k, v} -> "#{inspect(k)} => #{inspect(v)}" end)
      line(map, "%{#{text}}")
    end
  end

  def structs do
    [
      line(~D[2026-01-02]), line(~T[01:02:03]), line(~T[23:59:59.120]), line(~N[2026-01-02 03:04:05]),
      line(~N[2026-01-02 03:04:05.000678]), line(~U[2026-01-02 03:04:05.000678Z]), line(~U[0000-12-31 00:00:00Z]),
      line(%{__struct__: Foo, a: 1}, "%Foo{a: 1}"), line(%{__struct__: Foo.Bar, b: [c: 1], a: nil}, "%Foo.Bar{a: nil, b: [c: 1]}"),
      line(%{__struct__: Date, calendar: Calendar.ISO, year: 2026, month: 13, day: 1}, "%Date{calendar: Calendar.ISO, day: 1, month: 13, year: 2026}")
    ]
  end

  def identifiers do
    [
      line(pid("n1@127.0.0.1", 120, 0, 1_696_657_681), "#PID<n1@127.0.0.1.120.0>"),
      line(pid("a@b", 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), "#PID<a@b.4294967295.4294967295>"),
      line(pid("ž@h", 1, 2, 3), "#PID<ž@h.1.2>"),
      line(port("a@b", 7, 1), "#Port<a@b.7>"),
      line(port("a@b", 0xFFFFFFFFFF, 1), "#Port<a@b.1099511627775>"),
      line(ref("a@b", [1, 2, 3], 9), "#Reference<a@b.3.2.1>"),
      line(ref("a@b", [7], 9), "#Reference<a@b.7>"),
      line(ref("a@b", [1, 2, 3, 4, 5], 9), "#Reference<a@b.5.4.3.2.1>")
    ]
  end

  def adder(n), do: fn x -> x + n end

  def fun_text(fun) do
    info = :erlang.fun_info(fun)
    "#Function<#{info[:new_index]}.#{info[:uniq]}/#{info[:arity]} in Make>"
  end

  def funs do
    exports = [&String.upcase/1, &:erlang.+/2, &:a."b c"/1, &:"a b".c?/0, &:m."%"/1, &:m."A"/1]
    closures = [adder(1), adder(%{a: [1.5, "b"]}), fn -> :ok end, fn a, _b, _c -> a end]
    Enum.map(exports, &line/1) ++ Enum.map(closures, &line(&1, fun_text(&1)))
  end

  def mixed do
    message = {:"$gen_call", {self(), [:alias | make_ref()]}, {:sum, [1, -2, Integer.pow(2, 70)]}}
    node = "nonode@nohost"
    text = fn x -> x |> inspect() |> String.replace(["#PID<0", "#Reference<0"], &(String.trim_trailing(&1, "0") <> node)) end
    [line(message, text.(message)), line({:error, %{reason: [:a | "b"], at: ~U[2026-01-02 03:04:05Z], bits: <<5::3>>}})]
  end

  def read(bytes) do
    {:ok, :erlang.binary_to_term(bytes)}
  rescue
    ArgumentError -> :error
  end

  def float_text(text), do: <<99, text::binary, 0::size(31 - byte_size(text))-unit(8)>>

  # Bytes that OTP reads and does not write (any more), and what they mean.
  def foreign do
    atom_a = <<119, 1, ?a>>

    [
      {<<115, 1, ?a>>, :a}, {<<100, 1::16, 0xE9>>, :é}, {<<118, 1::16, ?a>>, :a},
      {float_text("1.50000000000000000000e+00"), 1.5}, {float_text("-2.5"), -2.5}, {float_text("+1.5E-3"), 0.0015},
      {<<98, 7::32>>, 7}, {<<110, 0, 0>>, 0}, {<<110, 1, 1, 0>>, 0}, {<<110, 1, 1, 7>>, -7},
      {<<110, 8, 0, 0xFFFFFFFF::little-64>>, 0xFFFFFFFF}, {<<111, 1::32, 1, 7>>, -7}, {<<111, 0::32, 0>>, 0},
      {<<107, 0::16>>, []}, {<<108, 0::32, 106>>, []}, {<<108, 1::32, 97, 1, 107, 2::16, 2, 3>>, [1, 2, 3]},
      {<<108, 1::32, 97, 1, 108, 1::32, 97, 2, 108, 1::32, 119, 1, ?a, 106>>, [1, 2, :a]},
      {<<108, 1::32, 97, 1, 108, 1::32, 97, 2, 97, 3>>, [1, 2 | 3]},
      {<<105, 2::32, 97, 1, 97, 2>>, {1, 2}}, {<<105, 0::32>>, {}},
      {<<77, 0::32, 0>>, ""}, {<<77, 1::32, 8, ?a>>, "a"}, {<<77, 1::32, 3, 255>>, <<7::3>>},
      {<<113>> <> atom_a <> atom_a <> <<98, 2::32>>, &:a.a/2}
    ]
  end

  def old_identifiers do
    atom_a = <<119, 1, ?a>>

    [
      {<<103>> <> atom_a <> <<1::32, 2::32, 3>>, "#PID<a.1.2>"},
      {<<102>> <> atom_a <> <<7::32, 1>>, "#Port<a.7>"},
      {<<89>> <> atom_a <> <<7::32, 1::32>>, "#Port<a.7>"},
      {<<114, 3::16>> <> atom_a <> <<1, 1::32, 2::32, 3::32>>, "#Reference<a.3.2.1>"},
      {<<88, 100, 1::16, ?a, 1::32, 2::32, 3::32>>, "#PID<a.1.2>"}
    ]
  end

  def foreign_lines do
    terms =
      for {bytes, term} <- foreign() do
        {:ok, ^term} = read(<<131, bytes::binary>>)
        [Base.encode16(<<131, bytes::binary>>, case: :lower), "\t", inspect(term), "\n"]
      end

    others =
      for {bytes, text} <- old_identifiers() do
        {:ok, _} = read(<<131, bytes::binary>>)
        [Base.encode16(<<131, bytes::binary>>, case: :lower), "\t", text, "\n"]
      end

    terms ++ others
  end

  # Bytes that OTP refuses, and our name of the error.
  def refused do
    atom_a = <<119, 1, ?a>>

    [
      {<<>>, :TERM_SHORT}, {<<97>>, :TERM_SHORT}, {<<104, 1>>, :TERM_SHORT}, {<<109, 5::32, "abcd">>, :TERM_SHORT},
      {<<107, 5::16, "abcd">>, :TERM_SHORT}, {<<108, 1::32, 97, 1>>, :TERM_SHORT}, {<<116, 1::32, 97, 1>>, :TERM_SHORT},
      {<<105, 0xFFFFFFFF::32>>, :TERM_SHORT}, {<<108, 0xFFFFFFFF::32, 106>>, :TERM_SHORT}, {<<116, 0xFFFFFFFF::32>>, :TERM_SHORT},
      {<<109, 0xFFFFFFFF::32>>, :TERM_SHORT}, {<<0>>, :TERM_TAG}, {<<255>>, :TERM_TAG}, {<<131, 97, 1>>, :TERM_TAG},
      {<<82, 0>>, :TERM_TAG}, {<<104, 1, 82, 0>>, :TERM_TAG}, {<<104, 1, 80, 3::32, 120, 156>>, :TERM_TAG},
      {<<88, 97, 1, 1::32, 1::32, 1::32>>, :TERM_TAG}, {<<113, 97, 1>> <> atom_a <> <<97, 1>>, :TERM_TAG},
      {<<113>> <> atom_a <> atom_a <> <<119, 1, ?a>>, :TERM_TAG},
      {<<119, 2, 0xC0, 0x80>>, :TERM_ATOM}, {<<118, 3::16, 0xED, 0xA0, 0x80>>, :TERM_ATOM}, {<<119, 1, 0xFF>>, :TERM_ATOM},
      {<<119, 4, 0xF4, 0x90, 0x80, 0x80>>, :TERM_ATOM}, {<<100, 256::16>> <> String.duplicate("a", 256), :TERM_ATOM},
      {<<118, 512::16>> <> String.duplicate("ž", 256), :TERM_ATOM},
      {<<70, 0x7FF0000000000000::64>>, :TERM_SHAPE}, {<<70, 0xFFF8000000000000::64>>, :TERM_SHAPE},
      {float_text("1"), :TERM_SHAPE}, {float_text(" 1.5"), :TERM_SHAPE}, {float_text("1.5x"), :TERM_SHAPE},
      {float_text(".5"), :TERM_SHAPE}, {float_text("1."), :TERM_SHAPE}, {float_text("1.5e999"), :TERM_SHAPE},
      {float_text("nan"), :TERM_SHAPE}, {<<77, 0::32, 1>>, :TERM_SHAPE}, {<<77, 1::32, 0, 5>>, :TERM_SHAPE},
      {<<77, 1::32, 9, 5>>, :TERM_SHAPE}, {<<90, 6::16>> <> atom_a <> <<1::32, 0::192>>, :TERM_SHAPE},
      {<<113>> <> atom_a <> atom_a <> <<98, -1::32>>, :TERM_SHAPE}
    ]
  end

  # What OTP takes and we refuse, for the reasons that INDEX.md gives.
  def refused_by_us do
    atom_a = <<119, 1, ?a>>

    [
      {<<101>> <> atom_a <> <<1::32, 1>>, :TERM_TAG}, {<<110, 1, 2, 5>>, :TERM_SHAPE}, {<<108, 0::32, 97, 5>>, :TERM_SHAPE},
      {<<90, 0::16>> <> atom_a <> <<1::32>>, :TERM_SHAPE}, {<<113>> <> atom_a <> atom_a <> <<98, 256::32>>, :TERM_SHAPE},
      {<<80, 3::32>> <> :zlib.compress(<<109, 0::32>>), :TERM_TAG}
    ]
  end

  def refused_lines do
    for {bytes, name} <- refused(), do: :error = read(<<131, bytes::binary>>)

    for {bytes, name} <- refused() ++ refused_by_us() do
      [Base.encode16(bytes, case: :lower), "\t", Atom.to_string(name), "\n"]
    end
  end

  # Terms in Erlang's order, equal ones (==) on one line.
  def order do
    f = fn x -> fn -> x end end

    terms =
      [-1.0e300, -Integer.pow(2, 80), -2, -1.5, -1, 0, 1, 1.0, 1.5, 2, Integer.pow(2, 53), 9007199254740992.0, Integer.pow(2, 53) + 1] ++
        [Integer.pow(2, 60) + 1, 1152921504606846976.0, 3.402823669209385e38, Integer.pow(2, 128) + 1, 1.7976931348623157e308, Integer.pow(2, 1024)] ++
        [:"", :a, :aa, :b, :z, :é, :ž, :"\uFFFD", :"\u{10000}"] ++
        [ref("a", [1, 1], 1), ref("a", [1], 1), ref("a", [3, 2, 1], 1), ref("a", [1, 2, 3], 1), ref("a", [1, 1, 1], 2), ref("b", [1, 1, 1], 1)] ++
        [f.(1), f.(2), f.(:a), &:a.b/1, &:a.b/2, &:a.c/0, &:b.a/0] ++
        [port("a", 1, 1), port("a", 2, 1), port("a", 1, 2), port("b", 1, 1)] ++
        [pid("b", 1, 1, 1), pid("a", 2, 1, 1), pid("a", 1, 2, 1), pid("a", 1, 1, 1), pid("a", 1, 1, 2)] ++
        [{}, {1}, {2}, {1, 1}, {1, 2.0}, {1, 2}, {9, 0}, {0, 0, 0}] ++
        [%{}, %{a: 1}, %{a: 1.0}, %{a: 2}, %{b: 1}, %{1 => :z}, %{1.0 => :a}, %{2 => :a}, %{{2} => 1}, %{{1.0} => 1}] ++
        [%{a: 2, b: 1}, %{a: 1, c: 0}, %{1 => :b, 1.0 => :a}, %{1 => :a, 1.0 => :b}, Map.new(1..40, &{&1, 1}), Map.new(2..41, &{&1, 0})] ++
        [%{%{1 => 1} => 1}, %{%{1 => 1.0} => 1}, %{%{1.0 => 1} => 1}] ++
        [[], [1], [1 | 2], [1 | :a], [1 | {}], [1, 0], [1 | "a"], [2], [97, 98], 'ab', [97, 98.0], 'abc', [[]], [[] | []], [1, [2]]] ++
        ["", <<0::1>>, <<0>>, <<1::4>>, <<31>>, <<1::3>>, <<32>>, <<33>>, "a", "aa", "b", <<255>>]

    terms
    |> Enum.map(&{&1, :erlang.term_to_binary(&1, minor_version: 2)})
    |> Enum.sort(fn {a, x}, {b, y} -> if a == b, do: x <= y, else: a < b end)
    |> Enum.chunk_while([], fn {t, b}, acc ->
      case acc do
        [{u, _} | _] when u != t -> {:cont, Enum.reverse(acc), [{t, b}]}
        _ -> {:cont, [{t, b} | acc]}
      end
    end, &{:cont, Enum.reverse(&1), []})
    |> Enum.map(fn equal -> [equal |> Enum.map(fn {_, b} -> Base.encode16(b, case: :lower) end) |> Enum.dedup() |> Enum.intersperse(" "), "\n"] end)
  end

  def run do
    plain = floats() ++ atoms() ++ binaries() ++ lists() ++ tuples() ++ maps()

    lines =
      integers() ++ Enum.map(plain, &line/1) ++ long_atoms() ++ old_atoms() ++ charlists() ++
        large_maps() ++ structs() ++ identifiers() ++ funs() ++ mixed()

    File.write!("beam.txt", lines)
    File.write!("foreign.txt", foreign_lines())
    File.write!("refused.txt", refused_lines())
    File.write!("order.txt", order())
  end
end

Make.run()
